"""Tests of Packlead, and the outside world on one machine in which they run."""
