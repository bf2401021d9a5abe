"""How a cluster does: asked in parallel with deadlines, judged by pure functions, told with its causes."""
