"""MLflow's REST API: what its unmodified clients ask of a tracking server. Nothing outside this package speaks MLflow.

Five subjects: traces (with OTLP), assessments, experiments, runs, datasets. Each has a file of its name in three
folders, and a request passes them in this order:

    routes.py      one line a route: method, path, handler. web/ binds the table to HTTP
    request.py     the Request that a handler gets
    handlers/      decide: make IDs and times, read the body by wire/, run scripts/, answer by wire/
    wire/          MLflow's JSON and OTLP to values and back, with all checks; no I/O
      filter.py    the grammar of filter strings and order_by, to clauses; dataset_filter.py that of datasets
      conventions.py  other conventions of spans, translated to MLflow's
      errors.py    MLflow's error codes
    scripts/       transaction scripts over values: what is stored and read; they know no wire
      search.py    the search over traces, by the SQL that clauses.py makes of clauses
    values.py      what wire/ and scripts/ hand each other by way of the handlers
    names.py       MLflow's reserved keys of tags, metadata and attributes
    usage.py       the tokens of a trace, from its spans

wire/ and scripts/ never import each other. Everything lies within the project of the caller's key. Traces, spans and
ratings are the rows of the gateway's own chats: gateway/storage/scripts has what is shared.
"""
