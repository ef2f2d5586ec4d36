"""HTTP building blocks that know no route: access, problems, queries, headers."""
