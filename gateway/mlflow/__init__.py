"""MLflow's REST API: what its unmodified clients ask of a tracking server. Nothing outside this package speaks MLflow.

Its subjects are traces (with OTLP), assessments, experiments, runs and datasets. Each has a file of its name in
handlers/, wire/ and scripts/. The way of a request:

    routes.py         one line a route: method, path, handler; web/ binds the table to HTTP
    request.py        the Request that a handler gets
    handlers/         read the body by wire/, make IDs and times, run scripts/, answer by wire/
    wire/             MLflow's JSON and OTLP to values and back, with all checks; no I/O
      body.py         bodies, times, durations, page tokens; checks.py what all subjects check alike
      *_filter.py     filter strings and order_by to clauses; those of traces are gateway/wire/filter.py's
      conventions.py  attributes of other conventions, translated to MLflow's; used by otlp.py
      spans.py        spans as clients read them
      errors.py       errors in MLflow's shape and OTLP's
    scripts/          transaction scripts from values to values
      search.py       the search over traces; the SQL of its clauses is gateway/storage/scripts/clauses.py's
      run_clauses.py  clauses and orders of the search over runs, as SQL

They share values.py (the values between wire/ and scripts/), names.py (MLflow's reserved keys) and usage.py (token
counts). wire/ and scripts/ never import each other. Each request reads and writes the project of its caller's key.
Traces, spans and ratings are the same rows as the gateway's own: gateway/storage/scripts has what is shared.

To add a route: a line in routes.py, a handler, and in wire/ and scripts/ a function each.
"""
