//! Compiles the wire contract without `protoc`: protox parses, tonic generates.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 3] =
    ["evergreen/auth/v1/auth.proto", "evergreen/auth/v1/admin.proto", "evergreen/api/v1/api.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=evergreen");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("evergreen_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .skip_debug([
            ".evergreen.auth.v1.TokenPair",
            ".evergreen.auth.v1.RegisterRequest",
            ".evergreen.auth.v1.LoginRequest",
            ".evergreen.auth.v1.LoginServiceRequest",
            ".evergreen.auth.v1.LoginServiceResponse",
            ".evergreen.auth.v1.ChangePasswordRequest",
            ".evergreen.auth.v1.IntrospectTokenRequest",
            ".evergreen.auth.v1.CreateServiceAccountResponse",
            ".evergreen.auth.v1.CreateUserRequest",
            ".evergreen.auth.v1.RotateServiceSecretResponse",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
