"""A document as a page, a PDF, a workbook and JSON: each renderer sets what the document says, and adds nothing."""
