"""The measurements behind `bench`: one module a subject, and beside it the processes that it times."""
