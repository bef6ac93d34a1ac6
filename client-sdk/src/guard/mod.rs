//! Verifies Evergreen's access tokens in any tonic service.
