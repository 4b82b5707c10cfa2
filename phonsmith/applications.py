"""Settings of the applications: what is computed with the reference method and accepted fits.

Light models, like those in :mod:`phonsmith.settings`.
"""
