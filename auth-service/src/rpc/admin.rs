//! AdminService.

use std::sync::Arc;

use evergreen_proto::auth::v1::{self as pb, admin_service_server::AdminService};
use tonic::{Request, Response, Status};
use transport::status::not_implemented;

use crate::{
    app::{App, Caller},
    rpc::{metadata::access_token, status::to_status},
};

/// Serves the use cases of [`App`] that are for administrators.
#[derive(Clone, Debug)]
pub(crate) struct AdminRpc {
    app: Arc<App>,
}

impl AdminRpc {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn admin<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        self.app.authenticate_admin(access_token(request)?).await.map_err(to_status)
    }
}

#[tonic::async_trait]
impl AdminService for AdminRpc {
    async fn set_user_roles(
        &self,
        request: Request<pb::SetUserRolesRequest>,
    ) -> Result<Response<pb::SetUserRolesResponse>, Status> {
        self.admin(&request).await?;
        Err(not_implemented("SetUserRoles"))
    }

    async fn disable_user(
        &self,
        request: Request<pb::DisableUserRequest>,
    ) -> Result<Response<pb::DisableUserResponse>, Status> {
        self.admin(&request).await?;
        Err(not_implemented("DisableUser"))
    }

    async fn enable_user(
        &self,
        request: Request<pb::EnableUserRequest>,
    ) -> Result<Response<pb::EnableUserResponse>, Status> {
        self.admin(&request).await?;
        Err(not_implemented("EnableUser"))
    }

    async fn create_service_account(
        &self,
        request: Request<pb::CreateServiceAccountRequest>,
    ) -> Result<Response<pb::CreateServiceAccountResponse>, Status> {
        self.admin(&request).await?;
        Err(not_implemented("CreateServiceAccount"))
    }

    async fn rotate_service_secret(
        &self,
        request: Request<pb::RotateServiceSecretRequest>,
    ) -> Result<Response<pb::RotateServiceSecretResponse>, Status> {
        self.admin(&request).await?;
        Err(not_implemented("RotateServiceSecret"))
    }

    async fn disable_service_account(
        &self,
        request: Request<pb::DisableServiceAccountRequest>,
    ) -> Result<Response<pb::DisableServiceAccountResponse>, Status> {
        self.admin(&request).await?;
        Err(not_implemented("DisableServiceAccount"))
    }

    async fn enable_service_account(
        &self,
        request: Request<pb::EnableServiceAccountRequest>,
    ) -> Result<Response<pb::EnableServiceAccountResponse>, Status> {
        self.admin(&request).await?;
        Err(not_implemented("EnableServiceAccount"))
    }

    async fn rotate_signing_key(
        &self,
        request: Request<pb::RotateSigningKeyRequest>,
    ) -> Result<Response<pb::RotateSigningKeyResponse>, Status> {
        self.admin(&request).await?;
        Err(not_implemented("RotateSigningKey"))
    }

    async fn list_signing_keys(
        &self,
        request: Request<pb::ListSigningKeysRequest>,
    ) -> Result<Response<pb::ListSigningKeysResponse>, Status> {
        self.admin(&request).await?;
        Err(not_implemented("ListSigningKeys"))
    }
}
