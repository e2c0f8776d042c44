"""From inputs and styles to finished files: looks, the plan, the stream that carries it out."""
