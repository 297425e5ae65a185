//! STUB
pub(crate) fn pageindex(
    _root: Option<&crate::kb::KbRoot>,
) -> Result<crate::egress::ApiKey, crate::egress::EgressError> {
    todo!()
}
