"""One order as its people see it: one page for all portals, each with the parts that its visitor may see."""
