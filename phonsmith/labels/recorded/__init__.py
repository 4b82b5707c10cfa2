"""Labels that exist already."""
