"""What the sample application keeps."""

from django.db import models


class Note(models.Model):
    """A line that somebody wrote."""

    title = models.CharField(max_length=200)
    written = models.DateTimeField(auto_now_add=True)
