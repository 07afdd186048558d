"""The lab: the outside world on one machine, made of real parts wherever they run here."""
