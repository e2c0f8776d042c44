"""From inputs and styles to finished files: style specifications, the plan, the stream that carries it out."""
