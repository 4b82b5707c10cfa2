"""Force constants fitted to labelled cells, without a potential."""
