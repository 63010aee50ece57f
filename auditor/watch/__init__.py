"""Scheduled audits, whom they tell of changes, their metrics, and a dashboard that only reads."""
