"""What a visitor sees change from one commit to the next."""

HEADLINE = "Kennel"
COLOUR = "#5b6770"
