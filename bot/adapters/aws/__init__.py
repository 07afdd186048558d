"""AWS behind our own nouns. `from bot.adapters.aws.fleet import Aws` is all that others need."""
