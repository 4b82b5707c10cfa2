"""Figures and the report: each function draws one figure from results in memory."""
