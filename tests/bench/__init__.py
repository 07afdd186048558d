"""Figures: each module prints those it is named after."""
