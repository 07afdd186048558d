"""The pages of the sample application."""
