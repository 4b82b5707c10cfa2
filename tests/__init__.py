"""Tests: a room for each room of the library, and whole runs of small campaigns in workflow/."""
