"""Where traces, ratings and keys live: `engine` is the seam, `scripts/` what is done, the other folders the engines."""
