"""What is listed: layers, receipts, history."""
