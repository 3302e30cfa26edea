#!/usr/bin/env bash
# From nothing to running: builds the image and brings it to ECR, makes the stack
# or changes it, and sets the domain up.
#
#   deploy/up.sh STACK PARAMETER=VALUE…
#
# The parameters are those of deploy/logsluice.yaml; those of a stack that is there
# stay as they are where they are not given. Region and credentials are the AWS
# CLI's own. With Image=… that image is taken in place of one that is built, and
# with SETUP=0 the domain is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "deploy/up.sh: $*" >&2
  exit 1
}

stack=${1:-}
[[ $stack =~ ^[A-Za-z][A-Za-z0-9-]*$ ]] || fail "no stack is named: deploy/up.sh STACK PARAMETER=VALUE…"
shift
image=''
for parameter; do
  [[ $parameter =~ ^[A-Za-z0-9]+= ]] || fail "'$parameter' is no parameter: give PARAMETER=VALUE"
  [[ $parameter != Image=* ]] || image=given
done
parameters=("$@")

region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
[[ $region ]] || fail "AWS_REGION is not set: set it to the region of the stack"
export AWS_REGION=$region AWS_DEFAULT_REGION=$region # each for other versions of the CLI
export AWS_PAGER=
aws sts get-caller-identity --output text >/dev/null || fail "the AWS CLI has no credentials that AWS takes: see aws configure, or aws sso login"

status=$(aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].StackStatus' --output text 2>/dev/null || true)
[[ $status != ROLLBACK_COMPLETE ]] || fail "stack $stack could not be made before and takes no update: see its events, then aws cloudformation delete-stack --stack-name $stack"

if [[ ! $image ]]; then
  repository=logsluice
  arn=$(aws ecr describe-repositories --repository-names $repository --query 'repositories[0].repositoryArn' --output text 2>/dev/null) ||
    arn=$(aws ecr create-repository --repository-name $repository --image-scanning-configuration scanOnPush=true \
      --query 'repository.repositoryArn' --output text)
  registry=$(aws ecr describe-repositories --repository-names $repository --query 'repositories[0].repositoryUri' --output text)
  registry=${registry%%/*}
  version=$(git describe --tags --always --dirty)
  # Two states that are not committed must not be one image.
  [[ $version != *-dirty ]] || version+=-$(date -u +%Y%m%d%H%M%S)
  image=$registry/$repository:$version
  builder=$(make --silent builder)
  aws ecr get-login-password | "$builder" login --username AWS --password-stdin "$registry"
  make image IMAGE="$image" VERSION="$version" PUSH=1
  parameters+=("Image=$image" "ImageRepositoryArn=$arn")
fi

aws cloudformation deploy --stack-name "$stack" --template-file deploy/logsluice.yaml \
  --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset \
  --parameter-overrides "${parameters[@]}"

output() {
  aws cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text
}

if [[ ${SETUP:-1} != 0 ]]; then
  cluster=$(output ClusterName) logs=$(output LogGroupName)
  task=$(eval "$(output Runsetup) --query 'tasks[0].taskArn' --output text")
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
