"""From figures to what people read: why a claim or entity stands where it stands.

`explanation` holds the figures, `keeping` keeps them for good, `audience` leaves out what is not for a provider's eyes.
`content` says it in words, as one document; `renderers` set that document as a page, a PDF, a workbook and JSON;
`report` is the way in. `contributions`, `reasons`, `behind`, `background` and `records` work the figures out.
"""
