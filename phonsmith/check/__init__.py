"""phonsmith/check"""
