"""What pages are built of: forms, formats, lists."""
