"""Phase transitions."""
