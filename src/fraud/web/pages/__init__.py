"""The workbench: pages for people, rendered here, in Chinese and English, and whole without a script.

A page is a function like those of `fraud.web.calls`: it gets the runtime and a `Visit` (the request with its caller,
the person, words, form) and returns a `View` (a template and its values), a `Moved` (another address, with one
line that says what was done) or a `Reply` (bytes, such as a download). To add one:

1. Write `pages/ROOM/NAME.py` (`work`, `people` or `office`; `frame` is what they stand in) with a tuple `PAGES`:

       PAGES = (
           Page("queue", "/queue", queue, who("investigator", "supervisor"), menu="work", key="q"),
           Page("case", "/cases/{case_id}", case, who("investigator", record="case", parameter="case_id")),
           Page("case_note", "/cases/{case_id}/notes", add_note, who("investigator", ...), method="POST"),
       )

   `who` makes the row of the table of rights: the roles, the kind of record and where its id stands, the ledger's
   word for it. Bounds of data, ledger, masking and the watch over unusual use follow from it, as for the API. What
   names a patient never stands in an address: name such parameters in `sealed=("patient_id",)`, and make the
   addresses with `visit.sealed(patient_id)`. `visit.shown("patient_id", value)` is an identifier as the visitor may
   see it; a page of one record shows `unmask_form` of `parts.html.j2` to whoever may lift the mask.
2. Write `templates/NAME.html.j2`, which extends `frame.html.j2` and fills `title` and `content`. `parts.html.j2`
   has tables that sort, pagers, filters, badges, figures, tabs, forms with their faults, empty states, crumbs.
   Forms hold `{{ parts.token() }}`; a link to a page that not every visitor may open stands behind
   `{% if may("queue") %}`. Charts go through `inline_svg`, since the policy of the pages forbids styles in attributes.
3. Write `words/NAME.en.toml` and `words/NAME.zh.toml` with sections of your own: `w("queue.title")`.
4. Add the module to `MODULES` in `book.py`: one line.

A page with `menu` stands in the menu of whoever may open it; `key` is its letter after `g`. Raise `Problem` for what
cannot be answered: it becomes a page. A form that has faults is shown again: return the view with `faults=` (by
field) and status 422; `faults_by_field` makes them of an `InputError`.
"""
