"""Long runs under load: what must never happen, counted."""
