"""What proves who somebody is: passwords, and what there is besides them."""
