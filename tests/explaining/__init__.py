"""Tests of contributions, reasons and reports."""
