"""The page of ``stylize app``. Only ``page.py`` and ``server.py`` know of Gradio (extra ``[app]``)."""
