#!/usr/bin/env bash
# From nothing to running: builds the image and brings it to ECR, makes the stack
# or changes it, and sets the domain up.
#
#   deploy/up.sh STACK PARAMETER=VALUE…
#
# The parameters are those of deploy/logsluice.yaml; those of a stack that is there
# stay as they are where they are not given. Region and credentials are the AWS
# CLI's own. With Image=… that image is taken in place of one that is built, also
# when the stack is changed later, until Image= has one built again. With SETUP=0
# the domain is left alone. TEMPLATE_BUCKET names a bucket for the template, in
# place of one that is made.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "deploy/up.sh: $*" >&2
  exit 1
}

stack=${1:-}
[[ $stack =~ ^[A-Za-z][A-Za-z0-9-]*$ ]] || fail "no stack is named: deploy/up.sh STACK PARAMETER=VALUE…"
shift
image='' given='' architecture='' parameters=("$@")
for parameter; do
  [[ $parameter =~ ^[A-Za-z0-9]+= ]] || fail "'$parameter' is no parameter: give PARAMETER=VALUE"
  case $parameter in
  Image=*) image=${parameter#*=} given=yes ;;
  CpuArchitecture=*) architecture=${parameter#*=} ;;
  esac
done

region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
[[ $region ]] || fail "AWS_REGION is not set: set it to the region of the stack"
export AWS_REGION=$region AWS_DEFAULT_REGION=$region # each for other versions of the CLI
export AWS_PAGER=
account=$(aws sts get-caller-identity --query Account --output text) ||
  fail "the AWS CLI has no credentials that AWS takes: see aws configure, or aws sso login"

# has tells what the stack has, nothing if there is no such thing.
has() {
  aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].$1" --output text 2>/dev/null | sed 's/^None$//' || true
}
parameter() { has "Parameters[?ParameterKey=='$1'].ParameterValue | [0]"; }
output() { has "Outputs[?OutputKey=='$1'].OutputValue | [0]"; }

status=$(has StackStatus)
[[ $status != ROLLBACK_COMPLETE ]] || fail "stack $stack could not be made before and takes no update: see its events, then aws cloudformation delete-stack --stack-name $stack"
if [[ ! $status ]]; then
  # The first cluster of an account can fail while ECS makes this role by itself.
  aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com >/dev/null 2>&1 || true
fi

repository=logsluice
if [[ ! $given ]]; then
  image=$(parameter Image)
  [[ $image != $account.dkr.ecr.$region.*/$repository:* ]] || image='' # built here before
fi
if [[ ! $image ]]; then
  arn=$(aws ecr describe-repositories --repository-names $repository --query 'repositories[0].repositoryArn' --output text 2>/dev/null) ||
    arn=$(aws ecr create-repository --repository-name $repository --image-scanning-configuration scanOnPush=true \
      --query 'repository.repositoryArn' --output text)
  registry=$(aws ecr describe-repositories --repository-names $repository --query 'repositories[0].repositoryUri' --output text)
  registry=${registry%%/*}
  version=$(git describe --tags --always --dirty) || fail "the image is named by git describe: run this in a clone, or give Image=…"
  # Two states that are not committed must not be one image.
  [[ $version != *-dirty ]] || version+=-$(date -u +%Y%m%d%H%M%S)
  image=$registry/$repository:$version
  builder=$(make --silent builder)
  aws ecr get-login-password | "$builder" login --username AWS --password-stdin "$registry"
  # One platform, as Docker without its containerd image store has no lists of them.
  platform=linux/arm64
  [[ ${architecture:-$(parameter CpuArchitecture)} != X86_64 ]] || platform=linux/amd64
  make image IMAGE="$image" VERSION="$version" PLATFORMS=$platform PUSH=1
  parameters+=("Image=$image" "ImageRepositoryArn=$arn")
fi

bucket=${TEMPLATE_BUCKET:-logsluice-deploy-$account-$region}
if [[ ! ${TEMPLATE_BUCKET:-} ]] && ! aws s3api head-bucket --bucket "$bucket" --expected-bucket-owner "$account" >/dev/null 2>&1; then
  aws s3 mb "s3://$bucket" >/dev/null || fail "the template needs a bucket: set TEMPLATE_BUCKET to one of yours in $region"
fi
aws cloudformation deploy --stack-name "$stack" --template-file deploy/logsluice.yaml \
  --s3-bucket "$bucket" --s3-prefix "$stack" \
  --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset \
  ${parameters[@]+--parameter-overrides "${parameters[@]}"}

if [[ ${SETUP:-1} != 0 ]]; then
  cluster=$(output ClusterName) logs=$(output LogGroupName)
  started=$(eval "$(output Runsetup) --query '[tasks[0].taskArn, failures[0].reason]' --output text")
  read -r task reason <<<"$started"
  [[ $task == arn:* ]] || fail "the stack is there, and ECS starts no task to set up the domain: $reason"
  echo "Setting up the domain by task ${task##*/}"
  aws ecs wait tasks-stopped --cluster "$cluster" --tasks "$task"
  aws logs get-log-events --log-group-name "$logs" --log-stream-name "task/logsluice/${task##*/}" --start-from-head \
    --query 'events[].[message]' --output text || true # one that could not start has none
  code=$(aws ecs describe-tasks --cluster "$cluster" --tasks "$task" --query 'tasks[0].containers[0].exitCode' --output text)
  if [[ $code != 0 ]]; then
    aws ecs describe-tasks --cluster "$cluster" --tasks "$task" --query 'tasks[0].stoppedReason' --output text >&2
    fail "the stack is there, and setting up the domain ended with $code. Mostly the domain does not let the task role in yet: $(output TaskRoleArn)"
  fi
fi
echo "Running. To look at it: $(output DashboardUrl)"
