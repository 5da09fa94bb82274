"""Claims: the canonical tables, importers, data quality, pseudonyms and the simulator."""
