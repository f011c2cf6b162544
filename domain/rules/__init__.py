"""The rules of law and contract; `windows` holds their day arithmetic."""
