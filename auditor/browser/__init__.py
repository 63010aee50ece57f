"""The browser: what a page may do with an answer, by the Fetch standard and by Chromium, over anything that answers.

`cors` decides about one answer and is all that a check of a configuration loads. A whole load of a page is `fetching`,
`elements`, `forms` or `websocket`; `judge` takes it under every browser of `profile`.
"""
