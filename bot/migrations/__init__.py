"""The way of the schema, one file a revision; `bot.schema.upgrade` walks it."""
