"""Planted truth: is it found as often as the intervals promise?"""
