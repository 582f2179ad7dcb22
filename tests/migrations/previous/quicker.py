"""A plugin for the previous release's tests: what they make anew for each test, and takes long, is made once.

It changes nothing that they look at: certificates that no connection uses, clients of services that moto answers
for, and the RSA key that moto makes beside a symmetric one.
"""

import ssl
from functools import cache

import boto3
from cryptography.hazmat.primitives.asymmetric import rsa

ssl.create_default_context = cache(ssl.create_default_context)
boto3.client = cache(boto3.client)
rsa.generate_private_key = cache(rsa.generate_private_key)
