"""What things are called on the screen: one module for each enum that people read."""
