//! The methods of services, as their descriptors have them.

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The methods of these services and of those beside them: `package.Service/Method`, and whether
/// neither side streams.
pub(crate) fn methods(services: &[&str]) -> Vec<(String, bool)> {
    let sets = [
        evergreen_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut methods = Vec::new();
    for set in sets {
        let set = FileDescriptorSet::decode(set).expect("the descriptors were made at build time");
        for file in set.file {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                if !services.contains(&name.as_str()) && !BESIDES.contains(&name.as_str()) {
                    continue;
                }
                methods.extend(service.method.iter().map(|method| {
                    let is_unary = !method.client_streaming() && !method.server_streaming();
                    (format!("{name}/{}", method.name()), is_unary)
                }));
            }
        }
    }
    methods
}

const BESIDES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];
