"""The figures of the papers: campaigns and files that make them, and published values."""
