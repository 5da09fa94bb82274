"""Why a claim or entity stands out: contributions, reasons, and the report that an auditor reads."""
