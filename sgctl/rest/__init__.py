"""The northbound REST API: the security part of Neutron v2.0, and what its clients ask of Nova and Keystone.

Plain functions from request to response; only `server` knows eventlet and Ryu.
"""
