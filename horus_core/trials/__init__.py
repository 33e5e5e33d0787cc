"""Runs recorded nodes again and judges: inject, prove."""
