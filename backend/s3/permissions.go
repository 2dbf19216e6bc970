package s3

// The permissions that changes need, as IAM policies name them.
const (
	mayPut           = "s3:PutObject"
	mayDelete        = "s3:DeleteObject"
	mayDeleteVersion = "s3:DeleteObjectVersion"
	mayGetVersion    = "s3:GetObjectVersion"
	mayAbort         = "s3:AbortMultipartUpload"
	mayListVersions  = "s3:ListBucketVersions"
	mayListParts     = "s3:ListMultipartUploadParts"
	mayListUploads   = "s3:ListBucketMultipartUploads"
	mayGetVersioning = "s3:GetBucketVersioning"
	mayGetLifecycle  = "s3:GetLifecycleConfiguration"
)

// ofObjects reports whether a permission is given on objects, not on the bucket.
func ofObjects(permission string) bool {
	switch permission {
	case mayPut, mayDelete, mayDeleteVersion, mayGetVersion, mayAbort, mayListParts:
		return true
	}
	return false
}
