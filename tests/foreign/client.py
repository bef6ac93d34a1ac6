"""Log in, list, and refresh with a key, with stubs made from the .proto files alone.

usage: client.py PROTO_DIR AUTH_ADDRESS API_ADDRESS
"""

import importlib
import os
import sys
import tempfile

import grpc
import grpc_tools
from grpc_tools import protoc

proto_dir, auth_address, api_address = sys.argv[1:]
stubs = tempfile.mkdtemp()
well_known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
for name in ("evergreen/auth/v1/auth.proto", "evergreen/api/v1/api.proto"):
    done = protoc.main(
        ["protoc", f"-I{proto_dir}", f"-I{well_known}", f"--python_out={stubs}",
         f"--grpc_python_out={stubs}", name])
    assert done == 0, name
sys.path.insert(0, stubs)
auth_pb2 = importlib.import_module("evergreen.auth.v1.auth_pb2")
auth_pb2_grpc = importlib.import_module("evergreen.auth.v1.auth_pb2_grpc")
api_pb2 = importlib.import_module("evergreen.api.v1.api_pb2")
api_pb2_grpc = importlib.import_module("evergreen.api.v1.api_pb2_grpc")

auth = auth_pb2_grpc.AuthServiceStub(grpc.insecure_channel(auth_address))
api = api_pb2_grpc.ApiServiceStub(grpc.insecure_channel(api_address))


def bearer(token, *more):
    return (("authorization", f"Bearer {token}"), *more)


login = auth_pb2.LoginRequest(
    username="demo", password="evergreen-demo-1", device_name="python")
tokens = auth.Login(login).tokens
trees = api.ListTrees(api_pb2.ListTreesRequest(), metadata=bearer(tokens.access_token)).trees
assert trees, "the demo user has trees"

attempt = bearer(tokens.refresh_token, ("idempotency-key", "python-attempt-0001"))
first = auth.Refresh(auth_pb2.RefreshRequest(), metadata=attempt).tokens
again = auth.Refresh(auth_pb2.RefreshRequest(), metadata=attempt).tokens
assert first.refresh_token == again.refresh_token, "one attempt has one successor"
assert first.refresh_token != tokens.refresh_token
again = api.ListTrees(api_pb2.ListTreesRequest(), metadata=bearer(first.access_token)).trees
assert [tree.tree_id for tree in again] == [tree.tree_id for tree in trees]

try:
    api.ListTrees(api_pb2.ListTreesRequest(), metadata=bearer(first.refresh_token))
    raise AssertionError("a refresh token opened ApiService")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
print(f"python: {len(trees)} trees")
