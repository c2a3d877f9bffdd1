"""The result of each type of job: one frozen class a type.

A worker builds a job's result, and the database stores the JSON that it serialises to. Results of
earlier releases still parse. Photos are named by their SHA-256: URLs are made by the API.
"""
